"""What the vault is told of the kits: every group's answers and rescue codes, to be read by programs and on paper."""

from pathlib import Path

from instructor.provision.kit import KitPlan
from instructor.provision.sheet import write_catch_up, write_key
from instructor.provision.stages import sheet_stage
from instructor.vault import Key, Vault
from instructor.workshop import Workshop


def write_answers(workshop: Workshop, plans: list[KitPlan], vault: Vault) -> Path | None:
    """Write the key, its page and the catch-up sheets; returns where another key that was there is kept."""
    key = {
        plan.group: [
            {
                "stage": stage.stage.id,
                "answers": ",".join(stage.answers),
                "rescue": vault.rescue_code(workshop.id, plan.group, stage.stage.id),
            }
            for stage in plan.stages
        ]
        for plan in plans
    }
    kept = vault.write_key(key)
    _write_key_page(workshop, key, vault)
    _write_catch_ups(workshop, plans, key, vault)
    return kept


def _write_key_page(workshop: Workshop, key: Key, vault: Vault) -> None:
    titles = {stage.id: (number, stage.title) for number, stage in enumerate(workshop.stages, 1)}
    described = {
        group: [{**entry, "number": titles[entry["stage"]][0], "title": titles[entry["stage"]][1]} for entry in entries]
        for group, entries in key.items()
    }
    write_key(vault.folder / "key.pdf", title=workshop.title, groups=described, paper=workshop.paper)


def _write_catch_ups(workshop: Workshop, plans: list[KitPlan], key: Key, vault: Vault) -> None:
    """One PDF a stage in the vault, with a page for every group."""
    for index in range(len(workshop.stages)):
        groups = [
            {
                "name": plan.group,
                "number": plan.number,
                "rescue": key[plan.group][index]["rescue"],
                "questions": [
                    {
                        "text": question.shown.text,
                        "answer": question.answer,
                        "right": ", ".join(question.source.rights),
                        "explanation": question.source.explanation,
                    }
                    for question in plan.stages[index].questions
                ],
            }
            for plan in plans
        ]
        stage = sheet_stage(index + 1, plans[0].stages[index])
        path = vault.folder / f"catch-up-{index + 1}.pdf"
        write_catch_up(path, title=workshop.title, stage=stage, groups=groups, paper=workshop.paper)
