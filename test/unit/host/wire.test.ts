import { expect, it } from "vitest";
import { packBundle } from "../../../provider/host/wire";
import { release } from "../../../provider/model/schema";

it.each(["6.1.0-56-amd64", "6.12.118+deb13-amd64", "6.8.0~rc1_x-generic", "7.3.0"])("a module for kernel %s goes to the router", (kernel) => {
    expect(release().safeParse(kernel).success).toBe(true);
    expect(packBundle({ [`nvi.ko.${kernel}.base64`]: "x" }).toString()).toBe(`nvi.ko.${kernel}.base64 1\n\nx`);
});

it.each(["a b", "a/b", "", "a\nb", "a\t"])("%j is no file's name", (name) => {
    expect(() => packBundle({ [name]: "" })).toThrow("not a bundle file's name");
});
