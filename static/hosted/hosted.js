/* What these pages do beyond plain forms; without it everything works as well. */
(() => {
  for (const peek of document.querySelectorAll(".peek")) {
    const input = document.getElementById(peek.getAttribute("aria-controls"));
    const show = (isShown) => {
      input.type = isShown ? "text" : "password";
      peek.textContent = isShown ? "Hide" : "Show";
      peek.setAttribute("aria-label", `${peek.textContent} password`);
    };
    peek.hidden = false;
    input.parentElement.classList.add("has-peek");
    peek.addEventListener("click", () => {
      show(input.type === "password");
      input.focus();
    });
    input.form.addEventListener("submit", () => show(false)); // so that browsers do not keep it as ordinary text
  }

  const tests = { length: (text) => [...text].length >= 8, lower: (text) => /\p{Ll}/u.test(text), digit: (text) => /\d/.test(text) };
  for (const rule of document.querySelectorAll("[data-rule]")) {
    const input = document.getElementById("password");
    const look = () => rule.classList.toggle("is-met", tests[rule.dataset.rule](input.value));
    input.addEventListener("input", look);
    look();
  }

  for (const form of document.forms) {
    const button = form.querySelector("button:not([type])");
    form.addEventListener("submit", (event) => {
      if (button.getAttribute("aria-disabled")) event.preventDefault(); // a second click sends nothing twice
      button.setAttribute("aria-disabled", "true");
    });
    addEventListener("pageshow", () => button.removeAttribute("aria-disabled")); // also when one comes back to it
  }
})();
