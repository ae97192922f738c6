import "./lib/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/overlays.css";
import "./styles/layout.css";
import "./styles/content.css";
import "uplot/dist/uPlot.min.css";
import "./styles/parts.css";
import "./styles/record.css";
import "./styles/charts.css";
import "./styles/rooms.css";
import "./styles/flags.css";
import "./styles/changes.css";
import "./styles/deploys.css";
import "./styles/narrow.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./shell/App";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
