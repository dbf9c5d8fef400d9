import { checkAgainst } from "../model/schema";
import { UNKNOWN } from "../model/unknown";
import { facts } from "../reconcile/facts";
import { endpoint, endpointFaults } from "../resources/endpoint";
import { changedKeys, type Bag } from "./bag";
import type { CheckResult, DiffResult, ReadResult } from "./adapter";
import { failed, failure, quietly } from "./errors";
import { hostOf } from "./hosts";

/*
 * The Router resource: nothing on the router stands for it. Creating it proves that the router can be reached and can
 * do the work, and its outputs are what is known of the router.
 */

const own = (inputs: Bag): Bag => {
    const { __provider: _, facts: __, ...rest } = inputs;
    return rest;
};

export async function check(inputs: Bag): Promise<CheckResult> {
    return quietly(() => {
        const result = checkAgainst(endpoint, own(inputs));
        const faults = [...result.faults, ...endpointFaults(result.known)];
        return { inputs, failures: faults.map(failure) };
    });
}

export async function diff(olds: Bag, news: Bag): Promise<DiffResult> {
    const changed = changedKeys(own(olds), own(news));
    const renamed = changed.includes("name") && news.name !== UNKNOWN;
    return { changes: changed.length > 0, replaces: renamed ? ["name"] : [], deleteBeforeReplace: false };
}

async function observed(inputs: Bag): Promise<Bag> {
    try {
        return { ...inputs, facts: await facts(hostOf({ router: own(inputs) })) };
    } catch (error) {
        throw failed(error);
    }
}

export async function create(inputs: Bag): Promise<{ id: string; outs: Bag }> {
    return { id: String(inputs.name), outs: await observed(inputs) };
}

export async function update(inputs: Bag): Promise<{ outs: Bag }> {
    return { outs: await observed(inputs) };
}

export async function readRouter(id: string, outs: Bag): Promise<ReadResult> {
    return { id, props: await observed(outs), inputs: own(outs) };
}
