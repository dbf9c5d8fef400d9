import { readFileSync } from "node:fs";
import { join } from "node:path";

/** In this order: functions before what calls them at once, and `main`, which looks at the arguments, at the end. */
const PARTS = ["head", "bundles", "observe", "module", "boot", "restore", "steps", "checks", "transaction", "guard", "results"];

const read = (part: string): string => readFileSync(join(__dirname, "script", `${part}.sh`), "utf8");

/** All functions of the router-side script: it does nothing by itself. */
export const FUNCTIONS = PARTS.map((part) => `${read(part)}\n`).join("");

/** The router-side script: one file on the router, whatever it is made of. */
export const SCRIPT = Buffer.from(FUNCTIONS + read("main"));
