import { useState, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { PlanDialog } from "./PlanDialog";

/** A button for those who may make a schedule, and its form with everybody in it. */
export function NewSchedule(): ReactElement {
  const [open, setOpen] = useState(false);
  const everybody = useQuery("people", people.list, { touches: ["person."] });
  const why = useLacks("deployer", true);
  const logins = (everybody.data?.items ?? []).map(({ login }) => login);
  return (
    <>
      <ActionButton tight why={why} onClick={() => setOpen(true)}>New schedule</ActionButton>
      {open && <PlanDialog onClose={() => setOpen(false)} schedule={null} people={logins} />}
    </>
  );
}
