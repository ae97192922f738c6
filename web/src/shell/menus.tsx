import { Menu } from "@base-ui/react/menu";
import type { ReactElement, ReactNode } from "react";
import { choose, useThemeChoice, type Choice } from "../lib/theme";
import { navigate, usePath } from "../router/router";
import { isCurrent, NAV } from "./routes";
import { useSession } from "./session";
import { signOut } from "./signOut";

function Popup({ trigger, className = "button small", label, children }: { trigger: ReactNode; className?: string; label: string; children: ReactNode }): ReactElement {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className={className} aria-label={label}>{trigger}</Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={4} align="end">
          <Menu.Popup className="menu">{children}</Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

/** The pages, where the bar has no room for them. */
export function NavMenu(): ReactElement {
  const path = usePath();
  const current = NAV.find((item) => isCurrent(item, path));
  return (
    <Popup className="button small nav-menu" label={`Pages, now ${current?.text ?? "none"}`} trigger={<>{current?.text ?? "Pages"} <span aria-hidden="true">▾</span></>}>
      {NAV.map((item) => (
        <Menu.Item key={item.to} className="menu-item" aria-current={item === current ? "page" : undefined} onClick={() => navigate(item.to)}>
          {item.text}
        </Menu.Item>
      ))}
    </Popup>
  );
}

const THEMES: { choice: Choice; text: string }[] = [
  { choice: "auto", text: "Theme of the system" },
  { choice: "light", text: "Light" },
  { choice: "dark", text: "Dark" },
];

export function PersonMenu({ onKeys }: { onKeys: () => void }): ReactElement {
  const { person, demo } = useSession();
  const theme = useThemeChoice();
  const leave = (): void => void signOut(person.login).finally(() => location.assign("/"));
  return (
    <Popup label={`${person.name}, menu`} trigger={<>{person.login} <span aria-hidden="true">▾</span></>}>
      <Menu.RadioGroup value={theme} onValueChange={(value: Choice) => choose(value)}>
        {THEMES.map(({ choice, text }) => (
          <Menu.RadioItem key={choice} value={choice} className="menu-item">
            {text}
            <Menu.RadioItemIndicator>✓</Menu.RadioItemIndicator>
          </Menu.RadioItem>
        ))}
      </Menu.RadioGroup>
      <Menu.Item className="menu-item" onClick={onKeys}>All keys <kbd>?</kbd></Menu.Item>
      <Menu.Item className="menu-item" onClick={() => navigate("/settings/me")}>My account</Menu.Item>
      {!demo && <Menu.Item className="menu-item" onClick={leave}>Sign out</Menu.Item>}
    </Popup>
  );
}
