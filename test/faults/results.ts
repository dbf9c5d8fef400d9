import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Point, Result } from "./bench";

/* What `npm run faults` says and keeps: see main.mjs. */

const { NVI_FAULTS_RESULTS: file, NVI_FAULTS_SEED = "1", NVI_FAULTS_BUDGET = "60" } = process.env;

export const seed = Number(NVI_FAULTS_SEED);
/** 0 stands for as long as it takes. */
export const deadline = NVI_FAULTS_BUDGET === "0" ? Infinity : Date.now() + Number(NVI_FAULTS_BUDGET) * 1000;

const keyOf = ({ scene, cut, at }: Point): string => `${scene} ${cut} ${at}`;
const lines = file && existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
const done = new Set(lines.map((line) => keyOf(JSON.parse(line) as Point)));

/** Whether an earlier run has been there. */
export const isDone = (point: Point): boolean => done.has(keyOf(point));

/** @param of how many points there are of its scene */
export function record(result: Result, of: number): Result {
    if (file) appendFileSync(file, `${JSON.stringify({ ...result, of, seed })}\n`);
    return result;
}
