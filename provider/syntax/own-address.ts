import type { Family } from "../model/address";

/*
 * A program may say "this NIC's own address" where it doesn't know it: dialled and DHCP uplinks. Such an address
 * is a token until the router is observed, in what is rendered for review too.
 */

/** A token, with family and NIC. */
export const OWN_ADDRESS = /<ipv([46]) of ([^>]+)>/;

/** The token for a NIC's own address. */
export const ownAddress = (family: Family, device: string): string => `<ipv${family} of ${device}>`;
