/** Why a connection ended that was given up, as its server answered no pings. */
export const SILENCE = "the server does not answer";
