// @ts-check
/** Rows under headings, each column as wide as it needs. @param {string[]} headings @param {string[][]} rows */
export function table(headings, rows) {
    const all = [headings, ...rows];
    const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
    const line = (/** @type {string[]} */ row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd();
    return [line(headings), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].map((text) => `  ${text}`).join("\n");
}
