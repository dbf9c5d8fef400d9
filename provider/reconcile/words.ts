/** A line for the script, which splits it at tabs and runs the words as they are; a word that could be more than one is a fault of ours. */
export const packWords = (words: readonly string[]): string => `${words.map(word).join("\t")}\n`;

function word(text: string): string {
    if (text === "" || /[\t\n\r\0]/.test(text)) throw new Error(`not a word: ${JSON.stringify(text)}`);
    return text;
}
