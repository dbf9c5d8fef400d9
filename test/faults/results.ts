import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Point, Result } from "./cuts";

/* What `npm run faults` says and keeps: see main.mjs. */

const { NVI_FAULTS_RESULTS: file, NVI_FAULTS_SEED = "1", NVI_FAULTS_BUDGET = "60" } = process.env;

export const seed = Number(NVI_FAULTS_SEED);
/** 0 stands for as long as it takes. */
export const deadline = NVI_FAULTS_BUDGET === "0" ? Infinity : Date.now() + Number(NVI_FAULTS_BUDGET) * 1000;

const keyOf = ({ scene, cut, at }: Point): string => `${scene} ${cut} ${at}`;
const lines = file && existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
const done = new Set(lines.map((line) => keyOf(JSON.parse(line) as Point)));
const tried = new Set(lines.map((line) => JSON.parse(line) as InputsResult & { part?: string; seed: number }).filter((one) => one.part === "inputs" && one.seed === seed).map(({ first }) => first));

/** Whether an earlier run has been there. */
export const isDone = (point: Point): boolean => done.has(keyOf(point));

/** @param of how many points there are of its scene */
export function record(result: Result, of: number): Result {
    if (file) appendFileSync(file, `${JSON.stringify({ ...result, of, seed })}\n`);
    return result;
}

/** What became of generated inputs, from the number `first` on. */
export interface InputsResult {
    first: number;
    inputs: number;
    /** Those that pass the check. */
    taken: number;
    /** Those of which something goes to a router that has nothing of ours. */
    sent: number;
    /** Answers of a router that were spoilt. */
    spoilt: number;
    /** Those that a real shell, nft and ip had. */
    tools: number;
    failures: number;
}

/** Whether an earlier run has been there, with the same seed. */
export const isTried = (first: number): boolean => tried.has(first);

export function recordInputs(result: InputsResult): void {
    if (file) appendFileSync(file, `${JSON.stringify({ part: "inputs", seed, ...result })}\n`);
}
