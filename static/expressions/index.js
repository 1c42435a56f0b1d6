/* Writing expressions: what the components expression_field.js, expression_ink.js and expression_desk.js are made of. */

export { Answer } from "./answer.js";
export { offsetAt, rectAt } from "./caret.js";
export { complete } from "./completion.js";
export { DRAGGED, drag, focused, insert, register } from "./fields.js";
export { helpOf, hideHelp, showHelp } from "./help.js";
export { scope, setScope, setWords, wordOf, words } from "./knowledge.js";
export { faultsOf, paint } from "./paint.js";
export { Suggestions } from "./suggestions.js";
export { expressionAt, expressionsIn } from "./tokens.js";
export { apply, erased, inserted, typed } from "./typing.js";
