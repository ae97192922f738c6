/** Series colours, tuned for colour-blind eyes; tests/palette.test.ts computes their contrast and distances. */
export type Theme = "light" | "dark";

export const SERIES: Record<Theme, readonly string[]> = {
  light: ["#315FCF", "#E66700", "#301172", "#A57B90", "#4495EA", "#962905", "#604C6E", "#5C010B"],
  dark: ["#AABEE5", "#E49921", "#3C9888", "#AB79F5", "#F1ED41", "#8DFFD5", "#885629", "#555E96"],
};

export const seriesColour = (theme: Theme, index: number): string => {
  const colours = SERIES[theme];
  return colours[index % colours.length]!;
};

/** Lines beyond the colours are told apart by dashes. */
export const seriesDash = (index: number): number[] => {
  const round = Math.floor(index / SERIES.light.length);
  return round === 0 ? [] : [6 / round, 3];
};
