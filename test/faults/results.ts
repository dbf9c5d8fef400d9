import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Point, Result } from "./bench";
import type { Tally } from "./foreign";

/* What `npm run faults` keeps of its parts, a line each, and goes by when it goes on; main.mjs prints it. */

const { NVI_FAULTS_RESULTS: file, NVI_FAULTS_REVISION: revision, NVI_FAULTS_SEED = "1", NVI_FAULTS_BUDGET = "60" } = process.env;

export const seed = Number(NVI_FAULTS_SEED);
/** 0 stands for as long as it takes. */
export const deadline = NVI_FAULTS_BUDGET === "0" ? Infinity : Date.now() + Number(NVI_FAULTS_BUDGET) * 1000;

/** The lines, by what they tell of. */
interface Lines {
    /** Something that happened at a point of a transaction; `of` is how many points its scene has. */
    point: Result & { of: number };
    /** A sequence of operations beside what others have on the router. */
    sequence: { sequence: number; of: number } & ({ tally: Tally } | { failure: string });
    inputs: InputsResult;
    /** Two stacks at the same moment. */
    round: { round: number; of: number; transactions: number; seconds: number };
    /** A restart, and links that were down for a moment after it; `early` is how many seconds the boot waited for us. */
    restart: { restart: number; of: number; flaps: number; early: number };
    /** Changes of one router, one after the other, and what there was of everything after the first ones and after the last. */
    soak: { changes: number; first: Readonly<Record<string, number>>; last: Readonly<Record<string, number>> };
}

/** What became of generated inputs, from the number `first` on. */
export interface InputsResult {
    first: number;
    inputs: number;
    of: number;
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

type Line<K extends keyof Lines> = Lines[K] & { kind: K; seed: number };

const lines = file && existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as { kind: string }) : [];

const before = <K extends keyof Lines>(kind: K): Line<K>[] => lines.filter((line) => line.kind === kind) as Line<K>[];

export function keep<K extends keyof Lines>(kind: K, line: Lines[K]): void {
    if (file) appendFileSync(file, `${JSON.stringify({ kind, seed, revision, ...line })}\n`);
}

const keyOf = ({ scene, cut, at }: Point): string => `${scene} ${cut} ${at}`;
const done = new Set(before("point").filter(({ ended }) => ended !== "neither").map(keyOf));
const tried = new Set(before("inputs").filter((line) => line.seed === seed && line.failures === 0).map(({ first }) => first));

/** Whether an earlier run has been there, whatever its seed, and it went well. */
export const isDone = (point: Point): boolean => done.has(keyOf(point));

/** @param of how many points there are of its scene */
export function record(result: Result, of: number): Result {
    keep("point", { ...result, of });
    return result;
}

/** Those of this seed that went well; a failed one is tried again. */
export const sequencesDone = (): Set<number> => new Set(before("sequence").filter((line) => line.seed === seed && "tally" in line).map(({ sequence }) => sequence));

/** How many restarts an earlier run has seen the end of. */
export const restartsDone = (): number => Math.max(0, ...before("restart").map(({ restart }) => restart));

/** Whether an earlier run has made these inputs, with the same seed, and all went well. */
export const isTried = (first: number): boolean => tried.has(first);
