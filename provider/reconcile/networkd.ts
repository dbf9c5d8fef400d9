import type { DesiredObject } from "./desired";
import type { Finding } from "./finding";

/** What systemd-networkd deletes although others made it. */
export interface Networkd {
    rules: boolean;
    routes: boolean;
}

const YES = /^(?:1|yes|y|true|t|on)$/i;
const NO = /^(?:0|no|n|false|f|off)$/i;

/**
 * The settings of networkd.conf(5), of its files one after the other: the last that can be read as a boolean counts. Both are
 * on by default; ManageForeignRoutes= came with systemd 246, ManageForeignRoutingPolicyRules= with 249.
 */
export function parseNetworkd(text: string): Networkd {
    const found = { ManageForeignRoutingPolicyRules: true, ManageForeignRoutes: true };
    let section = "";
    for (const line of text.split("\n").map((one) => one.trim())) {
        section = /^\[(.*)\]$/.exec(line)?.[1] ?? section;
        const [, key, value = ""] = /^(ManageForeignRoutingPolicyRules|ManageForeignRoutes)\s*=\s*(.*)$/.exec(line) ?? [];
        if (section === "Network" && key !== undefined && (YES.test(value) || NO.test(value))) found[key as keyof typeof found] = YES.test(value);
    }
    return { rules: found.ManageForeignRoutingPolicyRules, routes: found.ManageForeignRoutes };
}

/**
 * networkd deletes when it configures an interface that a .network file of its matches (networkd-link.c, link_configure and
 * link_drop_foreign_config): every foreign rule, foreign routes by that interface, and those by none, such as our
 * "unreachable". While it configures none it deletes nothing, but which interfaces come later nobody knows. Its reload doesn't
 * read these settings; a restart does.
 */
export function networkdFindings({ artifacts }: DesiredObject, { networkd }: { networkd?: Networkd | undefined }): Finding[] {
    const has = (kind: "rule" | "routes") => artifacts.some((artifact) => artifact.kind === kind);
    const lost = [
        ...(networkd?.rules && has("rule") ? [{ what: "ip rules", setting: "ManageForeignRoutingPolicyRules" }] : []),
        ...(networkd?.routes && has("routes") ? [{ what: "routes", setting: "ManageForeignRoutes" }] : []),
    ];
    if (lost.length === 0) return [];
    const settings = lost.map(({ setting }) => setting);
    return [{
        reason: `systemd-networkd is running: whenever it starts or configures an interface, it deletes ${lost.map(({ what }) => what).join(" and ")} that others made, the NVI's too, as ${settings.join(" and ")} ${settings.length === 1 ? "is" : "are"} not off`,
        cure: CURE,
    }];
}

/** Both, whichever is missing: written again for another resource, the file must not lose what it was written for first. */
const CURE = "mkdir -p /etc/systemd/networkd.conf.d; printf '%s\\n' '[Network]' ManageForeignRoutingPolicyRules=no ManageForeignRoutes=no >/etc/systemd/networkd.conf.d/99-nvi.conf; systemctl restart systemd-networkd";
