"""What was attached to a model, and what it did to the activations, as plain data."""

from pydantic import Field

from attention.spec import Plain


class AttachedModule(Plain):
    """A module behind one submodule of a model, and what it does to the activations on the spot."""

    path: str = Field(description="The submodule whose output it takes.")
    module: str = Field(description="Class of the module.")
    channels: int = Field(description="Channels of the map that arrives.")
    parameters: int = Field(description="Trainable numbers that it added.")
    kept: float | None = Field(
        description="Standard deviation of what leaves it by that of what arrives, measured on one image of noise "
        "or on the example; None where nothing that varies arrives."
    )
    identity: bool = Field(description="Whether what leaves it is exactly what arrives.")


class AttachReport(Plain):
    """Modules attached to a model in one call."""

    model: str = Field(description="Class of the model.")
    start: str = Field(description="identity or published.")
    modules: tuple[AttachedModule, ...] = Field(description="In the order of the model.")
    parameters: int = Field(description="Trainable numbers added in all.")
    identity: bool = Field(description="Whether every one of them leaves exactly what arrives.")

    def __str__(self) -> str:
        what = "leave the activations as they were, to the bit" if self.identity else self._spread()
        places = "place" if len(self.modules) == 1 else "places"
        return (
            f"{self.modules[0].module} at {len(self.modules)} {places} of {self.model}, {self.parameters:,} parameters "
            f"more; as attached they {what}."
        )

    def _spread(self) -> str:
        shares = [module.kept for module in self.modules if module.kept is not None]
        return f"leave {min(shares):.0%} to {max(shares):.0%} of the activations' spread" if shares else "change them"
