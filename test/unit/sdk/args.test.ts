import type { types } from "@pulumi/command";
import { expect, it } from "vitest";
import type { z } from "zod";
import type { schema as ingressMark } from "../../../provider/resources/ingress-mark/schema";
import type { schema as interfaceSchema } from "../../../provider/resources/interface/schema";
import type { schema as natStage } from "../../../provider/resources/nat-stage/schema";
import type { schema as routeTable } from "../../../provider/resources/route-table/schema";
import type { schema as twoStageNat } from "../../../provider/resources/two-stage-nat/schema";
import type { pathChecks } from "../../../provider/model/path-check";
import type { endpoint } from "../../../provider/resources/endpoint";
import type { ConnectionArgs, IngressMarkArgs, InterfaceArgs, NatStageArgs, OnRouterArgs, RouterArgs, RouteTableArgs, TwoStageNatArgs } from "../../../sdk";
import { holds, type Arrived, type Plain, type Same } from "./types";

/* What programs may write and what check takes are the same, property by property. The compiler is what runs this, by test/unit/layers/types.test.ts. */

/** Given as resources, of which check gets the name, the backend or the priority, or which only order things; `auto` never gets that far. */
type References = "router" | "adopt" | "checks" | "interface" | "backend" | "interfacePriority" | "mark" | "routeTables";
type Resolved = "router" | "adopt" | "checks" | "backend";
/** The SDK makes one of the resource's name, so programs may leave it out. */
type Named<T> = Omit<T, "name"> & { name?: string };

type Taken<S extends z.ZodType, Not extends string> = Plain<Named<Omit<z.input<S>, Not>>>;
type Given<A, Not extends string> = Plain<Named<Omit<Arrived<Omit<A, Not>>, never>>>;

holds<Same<Given<InterfaceArgs, Resolved>, Taken<typeof interfaceSchema, Resolved>>>();
holds<Same<Given<IngressMarkArgs, References>, Taken<typeof ingressMark, References>>>();
holds<Same<Given<RouteTableArgs, References>, Taken<typeof routeTable, References>>>();
holds<Same<Given<NatStageArgs, References>, Taken<typeof natStage, References>>>();
holds<Same<Given<TwoStageNatArgs, Resolved>, Taken<typeof twoStageNat, Resolved>>>();
holds<Same<Given<RouterArgs, never>, Taken<typeof endpoint, never>>>();
// Every resource takes checks, and the adapter looks at them.
holds<Same<Plain<Arrived<NonNullable<OnRouterArgs["checks"]>>>, Plain<z.input<typeof pathChecks>>>>();

// It would not hold for a property too many, of another type, or optional on one side only; nor at any depth.
type Table = Given<RouteTableArgs, References>;
type Route = NonNullable<Table["routes"]>[number];
// @ts-expect-error
holds<Same<Table & { more?: string }, Table>>();
// @ts-expect-error
holds<Same<Plain<Omit<Table, "closed"> & { closed?: string }>, Table>>();
// @ts-expect-error
holds<Same<Plain<Omit<Table, "closed"> & { closed: boolean }>, Table>>();
// @ts-expect-error
holds<Same<Plain<Omit<Table, "routes"> & { routes?: Plain<Omit<Route, "to"> & { to?: string }>[] }>, Table>>();

/** One connection object serves `@pulumi/command` and us. */
const serves = (theirs: types.input.remote.ConnectionArgs): ConnectionArgs => theirs;

it("is checked by the compiler", () => expect(serves({ host: "192.0.2.7" })).toEqual({ host: "192.0.2.7" }));
