/** Something about the router that the plan can't work with, found before anything is written. */
export interface Finding {
    reason: string;
    cure: string;
}
