import type { ReactElement } from "react";
import { people } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { Empty } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

export function Teams(): ReactElement {
  const query = useQuery("teams", people.teams, { touches: ["person.", "team.", "config."] });
  return (
    <Section title="Teams">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No team yet." command="tenfold apply demo/config">Teams are kept in files with the services they own.</Empty>
          ) : (
            <TableWrap>
            <table>
              <thead><tr><th scope="col">Team</th><th scope="col">People</th></tr></thead>
              <tbody>
                {items.map((team) => <tr key={team.name}><td className="strong">{team.name}</td><td>{team.members.join(", ") || "nobody"}</td></tr>)}
              </tbody>
            </table>
            </TableWrap>
          )
        }
      </Loaded>
    </Section>
  );
}
