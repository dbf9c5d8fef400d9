/** Rows under headings, each column as wide as it needs. */
export function table(headings: string[], rows: string[][]): string {
    const all = [headings, ...rows];
    const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
    const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
    return [line(headings), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].map((text) => `  ${text}`).join("\n");
}
