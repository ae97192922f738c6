import { Suspense, type ReactElement } from "react";
import { Link } from "../router/Link";
import { match, usePath } from "../router/router";
import { Loading } from "../ui/basics";
import { PageFrame } from "../ui/Section";
import { ErrorBoundary } from "./ErrorBoundary";
import { NAV, ROUTES } from "./routes";

function NotFound({ path }: { path: string }): ReactElement {
  return (
    <PageFrame title="No such page">
      <p>Nothing is kept under <code className="wrap-any">{path}</code>. It may have been renamed, or the address is cut short.</p>
      <ul className="chips">
        {NAV.map((item) => (
          <li key={item.to}><Link className="chip" to={item.to}>{item.text}</Link></li>
        ))}
      </ul>
    </PageFrame>
  );
}

export function Routed(): ReactElement {
  const path = usePath();
  for (const { pattern, page: Page } of ROUTES) {
    const params = match(pattern, path);
    if (!params) continue;
    return (
      <ErrorBoundary resetKey={path} inner>
        <Suspense fallback={<Loading />}>
          <Page key={path} params={params} />
        </Suspense>
      </ErrorBoundary>
    );
  }
  return <NotFound path={path} />;
}
