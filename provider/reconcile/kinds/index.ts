import type { Artifact } from "../../syntax/artifact";
import type { Kind } from "../kind";
import { addressKind } from "./address";
import { bootKind } from "./boot";
import { linkKind } from "./link";
import { moduleKind } from "./module";
import { neighbourKind } from "./neighbour";
import { routesKind } from "./routes";
import { ruleKind } from "./rule";
import { settingKind } from "./setting";
import { sysctlKind } from "./sysctl";
import { tableKind } from "./table";

const KINDS: { [K in Artifact["kind"]]: Kind<Extract<Artifact, { kind: K }>> } = {
    module: moduleKind,
    link: linkKind,
    setting: settingKind,
    address: addressKind,
    boot: bootKind,
    neighbour: neighbourKind,
    sysctl: sysctlKind,
    table: tableKind,
    rule: ruleKind,
    routes: routesKind,
};

/** Whether it is one of this version's. */
export const isKnown = (artifact: { kind: string }): boolean => Object.hasOwn(KINDS, artifact.kind);

/** The contract of an artifact's kind. */
export function kindOf(artifact: Artifact): Kind<Artifact> {
    return KINDS[artifact.kind] as unknown as Kind<Artifact>;
}
