import * as adapter from "./pulumi/adapter";
import type { Bag } from "./pulumi/bag";
import * as router from "./pulumi/router";
import type { ResourceKind } from "./resources";

/*
 * What the text of a dynamic provider, stored with every resource, calls by name. Resources of older states call
 * the same methods with what they stored then: names, parameters and results only ever grow.
 */

export type Kind = ResourceKind | "router";

export const check = (kind: Kind, _olds: Bag, news: Bag) => (kind === "router" ? router.check(news) : adapter.check(kind, news));
export const diff = (kind: Kind, _id: string, olds: Bag, news: Bag) => (kind === "router" ? router.diff(olds, news) : adapter.diff(kind, olds, news));
export const create = (kind: Kind, inputs: Bag) => (kind === "router" ? router.create(inputs) : adapter.create(kind, inputs));
export const read = (kind: Kind, id: string, outs: Bag) => (kind === "router" ? router.readRouter(id, outs) : adapter.readResource(kind, id, outs));
export const update = (kind: Kind, id: string, olds: Bag, news: Bag) => (kind === "router" ? router.update(news) : adapter.update(kind, id, olds, news));
const destroy = async (kind: Kind, _id: string, outs: Bag) => (kind === "router" ? undefined : adapter.destroy(kind, outs));
export { destroy as delete };
