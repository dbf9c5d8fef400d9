import type { Setting } from "../../syntax/artifact";
import { order, type Kind } from "../kind";

/** Below /sys: a group of attributes of the device (provider/kernel/nvi). */
const pathOf = ({ device, name }: Setting): string => `class/net/${device}/nvi/${name}`;
const label = ({ device, name }: Setting): string => `link ${device} ${name}`;

export const settingKind: Kind<Setting> = {
    key: (setting) => `setting ${setting.device} ${setting.name}`,
    requests: (setting) => ({ lines: [["setting", pathOf(setting)]] }),
    entries: (setting) => ({ [label(setting)]: setting.value }),

    observed(setting, snapshot) {
        const value = snapshot.settings.get(pathOf(setting));
        return value === undefined ? {} : { [label(setting)]: value };
    },

    occupied: () => undefined,
    isMarked: () => true,

    ensure(setting, { snapshot }) {
        const now = snapshot.settings.get(pathOf(setting));
        if (now === setting.value) return [];
        const undo = now === undefined ? [] : [["set", pathOf(setting), now]];
        return [{ order: order(setting), label: label(setting), do: [["set", pathOf(setting), setting.value]], undo }];
    },

    // Its device goes, and takes it along; a device that comes back gets it back.
    remove(setting, { snapshot }) {
        const now = snapshot.settings.get(pathOf(setting));
        return now === undefined ? [] : [{ order: order(setting), label: label(setting), do: [], undo: [["set", pathOf(setting), now]] }];
    },
};
