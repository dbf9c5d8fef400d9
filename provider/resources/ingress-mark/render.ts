import { hex, NIC_MASK, nicMark } from "../../model/mark";
import type { Desired } from "../../syntax/desired";
import type { Chain, TableRule } from "../../syntax/artifact";
import { quote } from "../../syntax/nft";
import type { IngressMarkInputs } from "./schema";

/** The last priority but one: the NAT stage's own bit comes after it. */
const LAST_BUT_ONE = 2147483646;

export function render(inputs: IngressMarkInputs): Desired {
    const chains = inputs.source === "connection" ? [remember(inputs), mark(inputs)] : [mark(inputs)];
    return {
        artifacts: [{ kind: "table", phase: "stage2", name: `nvi_mark_${inputs.name.replace(/-/g, "_")}`, chains }],
        nics: [],
        diverted: [],
    };
}

/**
 * Until here the mark belongs to the user's own rules; what they left in it is dropped, also where the map does not know the NIC
 * and the rule ends.
 */
function mark(inputs: IngressMarkInputs): Chain {
    const out = `oifname ${quote(inputs.interface)}`;
    const numbers = inputs.nics.map((nic) => `${quote(nic)} : ${hex(nicMark(nic))}`);
    const rules: TableRule[] = [{ id: "packet", text: `${out} meta mark set 0x0 meta mark set iifname map { ${numbers.join(", ")} }` }];
    if (inputs.source === "connection") rules.push(...inputs.nics.map((nic) => fromConnection(inputs, nic, out)));
    return { name: "ingress", hook: `type filter hook postrouting priority ${LAST_BUT_ONE}`, rules };
}

/** One rule a NIC: nft before 1.1 has no way to shift the connection's mark into the packet's under a mask. */
function fromConnection({ connectionShift: shift }: IngressMarkInputs, nic: string, out: string): TableRule {
    const mask = (NIC_MASK << shift) >>> 0;
    const value = (nicMark(nic) << shift) >>> 0;
    return { id: `connection ${nic}`, text: `${out} ct direction reply ct mark and ${hex(mask)} == ${hex(value)} meta mark set ${hex(nicMark(nic))}` };
}

/** New connections keep the NIC that they came in on, in the bits that the program chose. */
function remember({ nics, connectionShift: shift }: IngressMarkInputs): Chain {
    const others = (~(NIC_MASK << shift)) >>> 0;
    const rules = nics.map((nic) => ({
        id: `remember ${nic}`,
        text: `iifname ${quote(nic)} ct state new ct mark set ct mark and ${hex(others)} or ${hex((nicMark(nic) << shift) >>> 0)}`,
    }));
    return { name: "remember", hook: "type filter hook prerouting priority mangle", rules };
}
