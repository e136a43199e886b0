/** Longest function, in lines: what is longer is more than one step. */
const MAX_FUNCTION_LINES = 40;

/** Rules of the house that `deno lint` checks beside its own. */
const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "function-length": {
      create(context) {
        const check = (node: Deno.lint.FunctionDeclaration | Deno.lint.FunctionExpression) => {
          const lines = context.sourceCode.getText(node).split("\n").length;
          if (lines <= MAX_FUNCTION_LINES || !context.filename.includes("/src/")) return;
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
