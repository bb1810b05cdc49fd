"""What one may ask of a person's account."""

from uuid import UUID


from domain.shared import Command


class RegisterUser(Command, frozen=True, kw_only=True):
    email: str
    role: str
    first_name: str | None = None
    last_name: str | None = None
    patronymic: str | None = None
    phone: str | None = None
    staff_number: str | None = None
    department_id: UUID | None = None
    job_title: str | None = None
    must_change_password: bool = False


class SignOutEverywhere(Command, frozen=True, kw_only=True):
    pass


UserCommand = RegisterUser | SignOutEverywhere
