import { Component, type ErrorInfo, type ReactNode } from "react";

interface Props {
  /** A new value (the next address) tries to draw again. */
  resetKey: string;
  /** Within the frame, whose landmark stands around it already. */
  inner?: boolean;
  children: ReactNode;
}

interface State {
  error: Error | null;
}

/** A page that fails to draw says so and leaves the rest standing. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override componentDidUpdate(before: Props): void {
    if (this.state.error && before.resetKey !== this.props.resetKey) this.setState({ error: null });
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    const Box = this.props.inner ? "div" : "main";
    return (
      <Box className="entry">
        <h1>This page failed to draw</h1>
        <p>Nothing on the server was changed by it. Reload the page; if it fails again, the command line can do the same work.</p>
        <pre className="pre">{error.message}</pre>
        <button type="button" className="button primary" onClick={() => location.reload()}>Reload</button>
      </Box>
    );
  }
}
