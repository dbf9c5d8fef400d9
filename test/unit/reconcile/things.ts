import type { DesiredObject } from "../../../provider/reconcile/desired";
import type { Manifest } from "../../../provider/reconcile/objects";
import type { Artifact, Routes, Rule, Sysctl, Table } from "../../../provider/syntax/artifact";

/** Small artifacts, and objects of them. */
export const OWNER = "organization/office/prod/edge";

export const forwarding: Sysctl = { kind: "sysctl", phase: "forward", path: "net/ipv4/ip_forward", value: "1" };
export const loose: Sysctl = { kind: "sysctl", phase: "stage1", path: "net/ipv4/conf/isp1/rp_filter", value: "2", accept: ["0"] };
export const diversion: Rule = { kind: "rule", phase: "divert", family: 4, priority: 2000, iif: "lan0", action: { table: 7700 } };
export const stage1: Routes = { kind: "routes", phase: "stage1", table: 7700, routes: [] };
export const guard: Table = { kind: "table", phase: "stage1", name: "nvi_nat_main", chains: [{ name: "guard", hook: "type filter hook prerouting priority -150", rules: [{ id: "one", text: "counter" }, { id: "two", text: "drop" }] }] };

export const object = (...artifacts: Artifact[]): DesiredObject => ({ id: { kind: "nat-stage", name: "main" }, owner: OWNER, artifacts, nics: [], diverted: [] });

export const manifestOf = (artifacts: Artifact[], more: Partial<Manifest> = {}): string =>
    JSON.stringify({ version: 1, object: "nat-stage.main", owner: OWNER, artifacts, nics: [], saved: {}, ...more } satisfies Manifest);
