/** Longest function, in lines: what is longer is more than one step. */
const MAX_FUNCTION_LINES = 40;

/** Where it counts: a command of the command line or a page of the dashboard is a description, however long. */
const ROOMS = /\/src\/(?!cli\/|dashboard\/)/;

/** Rules of the house that `deno lint` checks beside its own. */
const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "function-length": {
      create(context) {
        const check = (node: Deno.lint.FunctionDeclaration | Deno.lint.FunctionExpression) => {
          const lines = context.sourceCode.getText(node).split("\n").length;
          if (lines <= MAX_FUNCTION_LINES || !ROOMS.test(context.filename)) return;
          context.report({
            node,
            message: `A function must have ≤ ${MAX_FUNCTION_LINES} lines: this one has ${lines}`,
          });
        };
        return { FunctionDeclaration: check, FunctionExpression: check };
      },
    },
  },
};

export default plugin;
