// A client of before the recipe thirdpartyemailpassword was taken out, here without third parties.
import SuperTokens from "supertokens-web-js-older";
import EmailVerification from "supertokens-web-js-older/recipe/emailverification";
import Session from "supertokens-web-js-older/recipe/session";
import ThirdPartyEmailPassword from "supertokens-web-js-older/recipe/thirdpartyemailpassword";

export { EmailVerification, Session };
export const { doesEmailExist, sendPasswordResetEmail, submitNewPassword } = ThirdPartyEmailPassword;
export const signUp = ThirdPartyEmailPassword.emailPasswordSignUp;
export const signIn = ThirdPartyEmailPassword.emailPasswordSignIn;

export function init(apiDomain, tokenTransferMethod) {
    SuperTokens.init({
        appInfo: { appName: "Shop", apiDomain, apiBasePath: "/auth" },
        recipeList: [Session.init({ tokenTransferMethod }), ThirdPartyEmailPassword.init(), EmailVerification.init()],
    });
}
