import { NviError } from "../model/errors";
import type { Artifact } from "../syntax/artifact";
import { OWN_ADDRESS } from "../syntax/own-address";
import type { DesiredObject } from "./desired";
import type { Finding } from "./finding";
import { firewalls } from "./firewalls";
import { isShared, type Request } from "./kind";
import { kindOf } from "./kinds";
import { wayOf, WAYS } from "./kinds/module";
import { madeDevices } from "./devices";
import { networkdFindings } from "./networkd";
import { objectKey, type StoredObject } from "./objects";
import { policyRouting, policyRoutingRequests } from "./policy-routing";
import { isIpv6 } from "./resolve";
import type { Snapshot } from "./snapshot";

/** Linux 5.5 is the first whose nft matches iifname in POSTROUTING (commit 28f8bfd1ac94). */
const OLDEST_KERNEL = [5, 5] as const;

/** What the checks below want observed; some of it they know only once they have seen the router. */
export function preflightRequests(desired: Pick<DesiredObject, "artifacts" | "diverted" | "crossing">, seen?: Snapshot): Request[] {
    const nics = desired.diverted.map((nic) => ["sysctl", `net/ipv4/conf/${nic}/proxy_arp`] as const);
    const all = [["sysctl", "net/ipv4/conf/all/rp_filter"], ["sysctl", "net/ipv4/conf/all/proxy_arp"]] as const;
    return [...nics, ...all, ...(desired.crossing ? [["forward"]] : []), ...(seen ? policyRoutingRequests(desired, seen) : [])];
}

/**
 * Everything that stands in the way, all at once.
 *
 * @param known whether the caller knows that the object was there: then what bears our mark is it, also where the
 *   manifest is lost.
 * @throws NviError `preflight`, or `foreign` where an object of somebody else's is in the place.
 */
export function preflight(desired: DesiredObject, artifacts: readonly Artifact[], snapshot: Snapshot, known: boolean): void {
    const own = snapshot.objects.find((object) => object.key === objectKey(desired.id));
    const foreign = [...ownership(desired, own), ...claims(desired, artifacts, snapshot)];
    const findings = [
        ...kernel(snapshot), ...ipv6(desired, snapshot), ...nics(desired, own, snapshot), ...occupied(artifacts, own, snapshot, known && !own),
        ...surroundings(desired, snapshot),
    ];
    if (foreign.length > 0) throw failure("foreign", snapshot, desired, foreign);
    if (findings.length > 0) throw failure("preflight", snapshot, desired, findings);
}

/** What others have on the router that would keep the object from doing what it is for, whether it is there already or not. */
export function surroundings(desired: DesiredObject, snapshot: Snapshot): Finding[] {
    return [...ports(desired, snapshot), ...filters(desired, snapshot), ...policyRouting(desired, snapshot), ...firewalls(desired, snapshot), ...networkdFindings(desired, snapshot)];
}

function failure(kind: "preflight" | "foreign", snapshot: Snapshot, desired: DesiredObject, findings: readonly Finding[]): NviError {
    const list = [...new Set(findings.map((finding) => `${finding.reason}\n    cure: ${finding.cure}`))];
    const reason = list.length === 1 ? list[0]! : `${list.length} things stand in the way; nothing was changed\n${list.map((text, i) => `  ${i + 1}. ${text}`).join("\n")}`;
    return new NviError({ kind, operation: `preflight of ${desired.id.kind} ${desired.id.name}`, subject: snapshot.router, reason });
}

function ownership(desired: DesiredObject, own: StoredObject | undefined): Finding[] {
    if (!own || [desired.owner, desired.formerOwner].includes(own.manifest.owner) || desired.adopt) return [];
    return [{
        reason: `${desired.id.kind} ${desired.id.name} on this router belongs to ${own.manifest.owner}`,
        cure: "give yours another name, destroy the other one from its own stack, or take it over with `adopt: true`",
    }];
}

/** Artifacts that another object of ours, of whatever stack, already stands for. */
function claims(desired: DesiredObject, artifacts: readonly Artifact[], snapshot: Snapshot): Finding[] {
    const others = snapshot.objects.filter((object) => object.key !== objectKey(desired.id));
    const findings = new Map<string, Finding>();
    for (const artifact of artifacts) {
        const key = kindOf(artifact).key(artifact);
        for (const other of others) {
            const near = other.manifest.artifacts.find((one) => kindOf(one).key(one) !== key && kindOf(artifact).disturbs?.(artifact, one));
            if (near) findings.set(key, {
                reason: `${key} and ${kindOf(near).key(near)}, which belongs to ${other.manifest.object} of ${other.manifest.owner}, look up the same table, and one selects all that the other does: the kernel takes one for the other`,
                cure: "give one of them another `priority`",
            });
            const theirs = other.manifest.artifacts.find((one) => kindOf(one).key(one) === key);
            if (!theirs || (isShared(artifact) && agree(artifact, theirs))) continue;
            const cure = artifact.kind === "module" ? BY_ONE_WAY : "use another name, table or priority, or manage both in one resource";
            findings.set(key, { reason: `${key} belongs to ${other.manifest.object} of ${other.manifest.owner}${comes(theirs)}`, cure });
        }
    }
    return [...findings.values()];
}

const BY_ONE_WAY = 'give `prebuilt` to all of the router\'s resources with backend "module", or to none; to change it, have all but one use backend "rules" for the time being';
const comes = (artifact: Artifact): string => (artifact.kind === "module" ? `, for which it is ${WAYS[wayOf(artifact)]}` : "");

/**
 * The module is one for all. Files for other kernels don't contradict each other; another version brings everybody's devices back
 * (see loss.ts), else nobody could be the first to change it. But those who want it by two ways would replace it for ever.
 */
function agree(one: Artifact, other: Artifact): boolean {
    if (one.kind === "module" && other.kind === "module") return wayOf(one) === wayOf(other);
    return JSON.stringify(kindOf(one).entries(one)) === JSON.stringify(kindOf(other).entries(other));
}

/** What every backend needs, beyond the tools. */
export function kernel(snapshot: Snapshot): Finding[] {
    const [major, minor] = (snapshot.facts.kernel ?? "").split(/[.-]/).map(Number);
    if (major! > OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor! >= OLDEST_KERNEL[1])) return [];
    return [{ reason: `its kernel is ${snapshot.facts.kernel}, too old for two-stage NAT`, cure: `boot Linux ${OLDEST_KERNEL.join(".")} or later` }];
}

/** What is there for both families does without; what was asked for of IPv6 can't. */
function ipv6(desired: DesiredObject, snapshot: Snapshot): Finding[] {
    const wanted = snapshot.ipv6 ? [] : desired.artifacts.flatMap(namesOfIpv6);
    if (wanted.length === 0) return [];
    return [{
        reason: `its kernel has no IPv6 (ipv6.disable=1), but it is asked for: ${wanted.slice(0, 3).join(", ")}${wanted.length > 3 ? `, and ${wanted.length - 3} more` : ""}`,
        cure: "leave IPv6 out of the program; or take ipv6.disable=1 off the kernel's command line (/etc/default/grub, update-grub) and restart the router",
    }];
}

/** What names an address or a next hop. A NIC's own address, whatever it is, is none that was asked for. */
function namesOfIpv6(artifact: Artifact): string[] {
    const named = (text: string | undefined) => text !== undefined && !OWN_ADDRESS.test(text);
    switch (artifact.kind) {
        case "rule": return isIpv6(artifact) && (named(artifact.from) || named(artifact.to)) ? [kindOf(artifact).key(artifact)] : [];
        case "routes": return artifact.phase === "stage2" ? artifact.routes.filter(({ family, hops }) => family === 6 && hops.length > 0).map(({ to, table }) => `route ${to} of table ${table}`) : [];
        case "address": case "neighbour": return isIpv6(artifact) ? [kindOf(artifact).key(artifact)] : [];
        case "table": return artifact.chains.flatMap(({ rules }) => rules.flatMap(({ text }) => (named(text) && /\bip6 [sd]addr \S+/.exec(text)?.[0]) || []));
        default: return [];
    }
}

/** A NIC that was there before may be away for a while, as dialled ones are; one that never was is a slip of the pen. */
function nics(desired: DesiredObject, own: StoredObject | undefined, snapshot: Snapshot): Finding[] {
    const made = madeDevices(desired.artifacts);
    const before = new Set(own?.manifest.nics);
    const missing = desired.nics.filter((nic) => !snapshot.links.has(nic) && !made.has(nic) && !before.has(nic));
    return [...new Set(missing)].map((nic) => ({ reason: `it has no network interface ${nic}`, cure: `correct the name, or bring it up first: what is dialled or plugged in has to be there when it is first named; the router has ${[...snapshot.links.keys()].join(", ")}` }));
}

function occupied(artifacts: readonly Artifact[], own: StoredObject | undefined, snapshot: Snapshot, adopt: boolean): Finding[] {
    const ours = new Set(own?.manifest.artifacts.map((artifact) => kindOf(artifact).key(artifact)));
    return artifacts.flatMap((artifact) => {
        const kind = kindOf(artifact);
        const isOurs = ours.has(kind.key(artifact)) || (adopt && kind.isMarked(artifact, snapshot));
        const reason = isOurs ? undefined : kind.occupied(artifact, snapshot);
        return reason ? [{ reason, cure: wayOut(artifact) }] : [];
    });
}

/** What to write in the program instead, or what to type on the router. */
function wayOut(artifact: Artifact): string {
    switch (artifact.kind) {
        case "link":
            return `give the NVI another name, or, if nothing needs that device, take it away: ip link del ${artifact.name}`;
        case "table":
            return `give this resource another \`name\`, or, if nothing needs that table: nft delete table inet ${artifact.name}`;
        case "routes":
            return `choose another \`table\`, or, if nothing needs those routes: ip route flush table ${artifact.table}; ip -6 route flush table ${artifact.table}`;
        case "module":
            return 'use backend "rules", which needs no module; or give the router what it lacks (installPackages: true lets apt do it), or a prebuilt module';
        default:
            return "choose another `priority`, or remove what is there";
    }
}

/** What comes in by a port is its master's by the time that a route is looked up: the diversion would never match, and all pass untranslated. */
function ports({ diverted, nics }: DesiredObject, snapshot: Snapshot): Finding[] {
    return [...new Set(nics)].flatMap((nic) => {
        const master = snapshot.links.get(nic)?.master;
        const out = `ip link set ${nic} nomaster`;
        if (!master) return [];
        if (master.kind !== "vrf") return [{ reason: `${nic} is a port of the ${master.kind} ${master.name}: what comes in by it comes in by ${master.name}`, cure: `name ${master.name} in its place; or take ${nic} out: ${out}` }];
        // A next hop may well be in a VRF.
        if (!diverted.includes(nic)) return [];
        return [{ reason: `${nic} belongs to the VRF ${master.name}, whose table the kernel looks up first: what comes in by it would pass untranslated`, cure: `use NICs of no VRF; or take it out: ${out}` }];
    });
}

function filters(desired: DesiredObject, snapshot: Snapshot): Finding[] {
    const findings: Finding[] = [];
    if (desired.crossing && snapshot.sysctls.get("net/ipv4/conf/all/rp_filter") === "1") {
        findings.push({
            reason: "net.ipv4.conf.all.rp_filter is 1: strict reverse-path filtering on every interface drops what comes back from the NVI, and no other setting can undo it",
            cure: "sysctl -w net.ipv4.conf.all.rp_filter=0 (or 2), and set it per interface; look in /etc/sysctl.d where it comes from",
        });
    }
    for (const nic of desired.diverted) {
        const path = ["all", nic].find((name) => snapshot.sysctls.get(`net/ipv4/conf/${name}/proxy_arp`) === "1");
        if (path) findings.push({
            reason: `proxy_arp is on for ${path}: with ${nic} diverted into the NVI the router would answer ARP for every address, its LAN's included`,
            cure: `sysctl -w net.ipv4.conf.${path}.proxy_arp=0`,
        });
    }
    return findings;
}
