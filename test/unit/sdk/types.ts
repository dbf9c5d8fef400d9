import type * as pulumi from "@pulumi/pulumi";

/** Holds only where the two are the same type, down to what is optional. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** What arrives of an Args interface: without inputs around values, written out. */
export type Arrived<T> = Plain<pulumi.Unwrap<T>>;

/** A type written out, so that two that mean the same compare as the same; `undefined` is what "optional" says already. */
export type Plain<T> = T extends readonly (infer E)[] ? Plain<E>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

/** Compiles only for `true`. */
export const holds = <_ extends true>(): void => undefined;
