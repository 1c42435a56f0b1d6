// The newest client: emailpassword, emailverification and session, as a front-end uses them.
import SuperTokens from "supertokens-web-js";
import EmailPassword from "supertokens-web-js/recipe/emailpassword";
import EmailVerification from "supertokens-web-js/recipe/emailverification";
import Session from "supertokens-web-js/recipe/session";

export { EmailVerification, Session };
export const { signUp, signIn, doesEmailExist, sendPasswordResetEmail, submitNewPassword } = EmailPassword;

export function init(apiDomain, tokenTransferMethod) {
    SuperTokens.init({
        appInfo: { appName: "Shop", apiDomain, apiBasePath: "/auth" },
        recipeList: [Session.init({ tokenTransferMethod }), EmailPassword.init(), EmailVerification.init()],
    });
}
