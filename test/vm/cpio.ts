/** An archive that the kernel unpacks into memory before it starts /init ("newc"), made without a tool. */
export function cpio(entries: Array<{ path: string; mode: number; content?: string }>): Buffer {
    const parts: Buffer[] = [];
    const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
    const add = (path: string, mode: number, content: string, inode: number): void => {
        const [name, data] = [Buffer.from(`${path}\0`), Buffer.from(content)];
        // Inode, mode, owner, group, links, time, size, device numbers (4), length of the name, checksum.
        const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
        const head = `070701${fields.map(field => field.toString(16).padStart(8, "0")).join("")}`;
        parts.push(padded(Buffer.concat([Buffer.from(head), name])), padded(data));
    };
    entries.forEach(({ path, mode, content = "" }, i) => add(path, mode, content, i + 1));
    add("TRAILER!!!", 0, "", 0);
    return Buffer.concat(parts);
}

const folder = 0o040000;
const regular = 0o100000;

/** The same for a set of files with all the folders that lead to them. */
export function fileArchive(files: Array<{ path: string; content: string; mode?: number }>): Buffer {
    const folders = new Set<string>();
    for (const { path } of files) {
        const words = path.split("/");
        for (let i = 1; i < words.length; i++) folders.add(words.slice(0, i).join("/"));
    }
    return cpio([
        ...[...folders].sort().map(path => ({ path, mode: folder | 0o755 })),
        ...files.map(({ path, content, mode = 0o644 }) => ({ path, mode: regular | mode, content })),
    ]);
}
