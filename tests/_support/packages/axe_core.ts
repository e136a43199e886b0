import axe from "npm:axe-core@4.14.1";

/** The text of the script that checks a page in a browser. */
export const source: string = axe.source;
