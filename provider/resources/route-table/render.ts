import { canonicalPrefix, familyOf, FAMILIES, type Family } from "../../model/address";
import { NIC_MASK, nicMark } from "../../model/mark";
import type { Desired } from "../../syntax/desired";
import type { Artifact, NextHop, Route, Rule } from "../../syntax/artifact";
import { MAIN_TABLE } from "../../syntax/iproute";
import { farEnd } from "../interface/schema";
import { priorityOf, type RouteInputs, type RouteTableInputs, type RuleInputs } from "./schema";

/** The highest metric there is: after every other default route. */
export const LAST_METRIC = 4294967295;

export function render(inputs: RouteTableInputs): Desired {
    const rules = [...inputs.rules.flatMap((rule) => renderRule(rule, inputs)), ...errorRules(inputs)];
    if (inputs.table === "main") return { artifacts: rules, nics: [], diverted: [] };
    const table = inputs.table;
    const routes = [...inputs.routes.map((route) => renderRoute(route, table)), ...(inputs.closed ? unreachable(table) : [])];
    const artifacts: Artifact[] = [{ kind: "routes", phase: "stage2", table, routes }, ...rules];
    return { artifacts, nics: routes.flatMap((route) => route.hops.flatMap((hop) => hop.dev ?? [])), diverted: [] };
}

/** Without it a table that lost its routes would let packets fall through to the next rule. */
export function unreachable(table: number): Route[] {
    return FAMILIES.map((family) => ({ family, table, to: "default", type: "unreachable", metric: LAST_METRIC, hops: [] }));
}

function renderRoute(route: RouteInputs, table: number): Route {
    const hops = route.nextHops ?? (route.type === "unicast" ? [{ via: route.via, device: route.device, onlink: route.onlink }] : []);
    return {
        family: familyOf(route.to),
        table,
        to: canonicalPrefix(route.to),
        type: route.type,
        ...(route.metric ? { metric: route.metric } : {}),
        hops: hops.map(renderHop),
    };
}

function renderHop(hop: { via?: string; device?: string; onlink?: boolean; weight?: number }): NextHop {
    return {
        ...(hop.via === undefined ? {} : { via: canonicalPrefix(hop.via) }),
        ...(hop.device === undefined ? {} : { dev: hop.device }),
        ...(hop.onlink ? { onlink: true } : {}),
        ...(hop.weight === undefined ? {} : { weight: hop.weight }),
    };
}

/** A rule by ingress NIC alone concerns both families. */
function renderRule(rule: RuleInputs, inputs: RouteTableInputs): Rule[] {
    const selected = rule.from ?? rule.to;
    const families: readonly Family[] = selected === undefined ? FAMILIES : [familyOf(selected)];
    return families.map((family) => ({
        kind: "rule",
        phase: "stage2",
        family,
        priority: priorityOf(rule, inputs),
        iif: farEnd(inputs.interface, inputs.backend),
        ...selector("from", rule.from),
        ...selector("to", rule.to),
        ...(rule.ingress === undefined ? {} : { mark: { value: nicMark(rule.ingress), mask: NIC_MASK } }),
        action: { table: inputs.table === "main" ? MAIN_TABLE : inputs.table },
    }));
}

/** A prefix of length 0 selects everything, and the kernel doesn't keep it. */
function selector(key: "from" | "to", prefix: string | undefined): Pick<Rule, "from" | "to"> {
    const canonical = prefix === undefined ? "default" : canonicalPrefix(prefix);
    return canonical === "default" ? {} : { [key]: canonical };
}

/** How far before stage 2 the router's own errors have their rules; they bear the mark only where the NAT stage put it. */
const ERRORS_AHEAD = 10;

/** ICMP errors that the router raises have an uplink's address as source, so they must leave by that uplink. */
function errorRules(inputs: RouteTableInputs): Rule[] {
    const { errors, interfacePriority, table } = inputs;
    if (errors === undefined || table === "main") return [];
    return FAMILIES.map((family) => ({
        kind: "rule", phase: "stage2", family, priority: interfacePriority - ERRORS_AHEAD, iif: "lo", mark: { value: nicMark(errors), mask: NIC_MASK }, action: { table },
    }));
}
