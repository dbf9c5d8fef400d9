import { familyOf, formatRange, parseRange, type Family } from "../../model/address";
import { hex, nicMark, TRANSLATED } from "../../model/mark";
import { quote } from "../../syntax/nft";

export const ipWord = (family: Family): string => (family === 4 ? "ip" : "ip6");
export const rangeText = (text: string): string => formatRange(parseRange(text) as Exclude<ReturnType<typeof parseRange>, string>);
export const ofFamily = (items: readonly string[], family: Family): string[] => items.filter((item) => familyOf(item) === family);

/** The NAT stage's own bit, put on at the very end: stage 2 answers "unreachable" without it. */
export const passedText = (nvi: string): string => `oifname ${quote(nvi)} meta mark set meta mark or ${hex(TRANSLATED)}`;
export const errorMark = (nic: string): string => `meta mark set ${hex(nicMark(nic))}`;
