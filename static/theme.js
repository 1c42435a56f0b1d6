/* Runs in <head> before anything is painted: theme and width of the navigation, as this person left them. */
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const saved = document.cookie.match(/(?:^|; )pulsewire_theme=(light|dark|auto)(?:;|$)/);
  let mode = saved ? saved[1] : "auto";

  const isDark = () => mode === "dark" || (mode === "auto" && system.matches);

  function apply() {
    root.dataset.theme = isDark() ? "dark" : "light";
    root.dataset.themeMode = mode;
    root.style.colorScheme = root.dataset.theme;
    window.Quasar?.Dark?.set(isDark());
    window.dispatchEvent(new CustomEvent("pulsewire:theme", { detail: { dark: isDark(), mode } }));
  }

  function set(next) {
    mode = next;
    document.cookie = `pulsewire_theme=${next}; Path=/; Max-Age=31536000; SameSite=Lax`;
    apply();
  }

  const next = () => set({ auto: "light", light: "dark", dark: "auto" }[mode]);

  function read(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is switched off: the navigation simply starts wide
    }
  }

  function toggleNav() {
    const rail = root.dataset.nav !== "rail";
    root.dataset.nav = rail ? "rail" : "wide";
    try {
      localStorage.setItem("pulsewire_nav", root.dataset.nav);
    } catch {
      /* remembered for this page only */
    }
  }

  root.dataset.nav = read("pulsewire_nav") === "rail" ? "rail" : "wide";
  system.addEventListener("change", apply);
  window.pulsewireTheme = { apply, set, next, isDark };
  window.pulsewireNav = { toggle: toggleNav };
  apply();
})();
