/** Where in a resource's inputs: keys and list positions from the outside in. */
export type Path = readonly (string | number)[];

/** Something wrong with a program's inputs, found without asking the router. */
export interface Fault {
    path: Path;
    /** In words that go on from the property's name: "is not an IPv4 address". */
    reason: string;
}

/** Writes a path the way Pulumi does: `uplinks.isp1.addresses[0]`. */
export function formatPath(path: Path): string {
    return path.reduce<string>((text, key) => {
        if (typeof key === "number") return `${text}[${key}]`;
        if (!/^[\w-]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
        return text === "" ? key : `${text}.${key}`;
    }, "");
}

/** Of a list in which each name has its place once; one that is not known yet may be any. */
export function repeated(names: readonly (string | undefined)[], path: Path): Fault[] {
    return names.flatMap((name, i) => (name !== undefined && names.indexOf(name) < i ? [{ path: [...path, i], reason: `is ${name} a second time` }] : []));
}
