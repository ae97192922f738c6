import { useState, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { PlanDialog } from "./PlanDialog";

/** A button for those who may make a schedule, and its form with everybody in it. */
export function NewSchedule(): ReactElement {
  const { person } = useSession();
  const [open, setOpen] = useState(false);
  const everybody = useQuery("people", people.list, { touches: ["person."] });
  const may = person.role === "deployer" || person.role === "admin";
  const logins = (everybody.data?.items ?? []).map(({ login }) => login);
  return (
    <>
      <ActionButton tight why={may ? null : "Making a schedule takes the role deployer."} onClick={() => setOpen(true)}>New schedule</ActionButton>
      {open && <PlanDialog onClose={() => setOpen(false)} schedule={null} people={logins} />}
    </>
  );
}
