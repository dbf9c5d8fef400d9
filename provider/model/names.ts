/**
 * Whether the kernel takes this as the name of a network interface (net/core/dev.c, dev_valid_name), less
 * what other tools would read as syntax: nft's wildcard `*`, quotes, and `:` of old aliases.
 *
 * @returns a reason in words where it is not.
 */
export function interfaceNameFault(name: string): string | undefined {
    if (name.length === 0) return "is empty";
    if (name.length > 15) return `has ${name.length} characters; an interface name has at most 15`;
    if (name === "." || name === "..") return "is no interface name";
    if (name === "all" || name === "default") return "is what sysctl calls every interface; it is no usable interface name";
    if (!/^[A-Za-z0-9_.@-]+$/.test(name) || name.startsWith("-")) return "has characters other than letters, digits and _ . @ -";
    return undefined;
}

/** Whether this can be the name of an object of ours: part of a path, of an nft table's name and of an id. */
export function objectNameFault(name: string): string | undefined {
    if (/^[a-z][a-z0-9-]{0,30}$/.test(name)) return undefined;
    return "must be 1 to 31 lower-case letters, digits and hyphens, beginning with a letter";
}

/** Makes an object name of any Pulumi resource name. */
export function objectNameFrom(text: string): string {
    const name = text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+|-+$/g, "").slice(0, 31);
    return name || "main";
}

/** FNV-1a: a stable small number for a name, where allocation must not depend on order. */
export function hash32(text: string): number {
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    return hash;
}
