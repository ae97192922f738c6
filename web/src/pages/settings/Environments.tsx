import { useState, type FormEvent, type ReactElement } from "react";
import { places } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { Loaded, Section } from "../../ui/Section";
import { Switch } from "../../ui/Switch";
import { TableWrap } from "../../ui/TableWrap";

const NAME = "[a-z0-9][a-z0-9_.\\-]*";

function NameForm({ what, add, described }: { what: string; add: (name: string, description: string) => Promise<unknown>; described?: boolean }): ReactElement {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const { busy, run } = useAction("environment.", "flag_project.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!(await run(() => add(name, description), `${name} is made.`))) return;
    setName("");
    setDescription("");
  };
  return (
    <form className="filters" onSubmit={(event) => void submit(event)}>
      <Field label={`New ${what}`}><input required pattern={NAME} maxLength={63} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} /></Field>
      {described && <Field label="Description"><input maxLength={300} value={description} onChange={(event) => setDescription(event.target.value)} /></Field>}
      <button type="submit" className="button" disabled={busy}>Make it</button>
    </form>
  );
}

function FourEyes({ name, on }: { name: string; on: boolean }): ReactElement {
  const { busy, run } = useAction("environment.");
  const change = (four_eyes: boolean): Promise<unknown> =>
    run(() => places.putEnvironment(name, four_eyes), four_eyes ? `Changes of flags in ${name} wait for a second person.` : `Changes of flags in ${name} take effect at once.`);
  return <Switch on={on} busy={busy} label={`A second person in ${name}`} onChange={(four_eyes) => void change(four_eyes)} />;
}

/** Where things run, and where a change of a flag wants a second person. */
export function Environments(): ReactElement {
  const query = useQuery("environments", places.environments, { touches: ["environment.", "config."] });
  return (
    <Section title="Environments">
      <NameForm what="environment" add={(name) => places.addEnvironment(name)} />
      <Loaded query={query}>
        {({ items }) => (
          <TableWrap>
            <table>
              <thead><tr><th scope="col">Environment</th><th scope="col">Changes of flags wait for a second person</th></tr></thead>
              <tbody>{items.map(({ name, four_eyes }) => <tr key={name}><td className="strong">{name}</td><td><FourEyes name={name} on={four_eyes} /></td></tr>)}</tbody>
            </table>
          </TableWrap>
        )}
      </Loaded>
      <p className="muted">The first is meant where none is named. Switching off and lowering a percentage wait for nobody.</p>
    </Section>
  );
}

function DeleteProject({ name }: { name: string }): ReactElement {
  const { busy, run } = useAction("flag_project.");
  return <ActionButton small busy={busy} label={`Delete ${name}`} onClick={() => void run(() => places.deleteProject(name), `${name} is deleted.`)}>Delete</ActionButton>;
}

/** What flags belong to, and what tokens may be limited to. */
export function Projects(): ReactElement {
  const query = useQuery("flag-projects", places.projects, { touches: ["flag_project.", "flag."] });
  return (
    <Section title="Projects">
      <NameForm what="project" described add={(name, description) => places.putProject(name, description)} />
      <Loaded query={query}>
        {({ items }) => (
          <TableWrap>
            <table className="stacks">
              <thead><tr><th scope="col">Project</th><th scope="col">Description</th><th scope="col" className="num">Flags</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
              <tbody>
                {items.map(({ name, description, flags }) => (
                  <tr key={name}>
                    <td className="strong">{name}</td><td>{description}</td><td className="num">{flags}</td>
                    <td className="fit">{name !== "default" && flags === 0 && <DeleteProject name={name} />}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableWrap>
        )}
      </Loaded>
    </Section>
  );
}
