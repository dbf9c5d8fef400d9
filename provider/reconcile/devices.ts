import type { Artifact } from "../syntax/artifact";

const ofPath = (path: string): string | undefined => /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(path)?.[1];
const isDevice = (name: string | undefined): name is string => name !== undefined && name !== "all" && name !== "default";

/** The device whose setting a sysctl is. */
export const deviceOfSysctl = (path: string): string | undefined => [ofPath(path)].find(isDevice);

/** The devices without which an artifact can't be: with them it goes. Rules and tables name devices, and do without. */
export function devicesOf(artifact: Artifact): string[] {
    switch (artifact.kind) {
        case "link": return artifact.peer === undefined ? [artifact.name] : [artifact.name, artifact.peer];
        case "address": case "setting": case "neighbour": return [artifact.device];
        case "sysctl": return [deviceOfSysctl(artifact.path)].filter(isDevice);
        case "routes": return artifact.routes.flatMap((route) => route.hops.map((hop) => hop.dev)).filter(isDevice);
        default: return [];
    }
}

/** The devices that artifacts make. */
export const madeDevices = (artifacts: readonly Artifact[]): Set<string> => new Set(artifacts.filter(({ kind }) => kind === "link").flatMap(devicesOf));
