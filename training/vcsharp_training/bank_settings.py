"""The `[bank]` table of a recipe: how pictures become crops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from vcsharp_training.degrade import TRAINING, Profile
from vcsharp_training.strict import LATER, Strict

SYNTHETIC, PAIR = "synthetic", "pair"
"""Profiles of drawn patterns and of pairs, which nothing has to be made worse for."""
MARGIN_PX = 40
"""A picture has to be larger than a crop by this much, for the camera to move in."""


class BankSettings(Strict):
    """How pictures become crops."""

    crop_px: int = Field(160, ge=32)
    """Side of a crop."""
    window_px: int = Field(640, ge=64)
    """Side of the part of a picture that is degraded at once."""
    crops_per_window: int = Field(2, gt=0)
    """Crops cut from one degraded window."""
    crops_per_image: dict[str, int] = Field(
        {"half": 8, "soft": 8, "mjpeg": 8, "call": 12, "clean": 6}
    )
    """Crops per profile and picture: the weights of the profiles."""
    synthetic: int = Field(2000, ge=0)
    """Drawn patterns that must stay as they are."""
    full_range_share: float = Field(0.2, ge=0, le=1)
    """Share of pictures in full-range luma; the others are in limited range."""
    magnify_share: float = Field(0.3, ge=0, le=1)
    """Share of windows whose picture is scaled up first: big sensors and long lenses are soft at
    the pixel level.
    """
    magnify_max: float = Field(2.0, ge=1)
    """Largest factor of that."""
    validation_share: float = Field(0.05, ge=0, lt=1)
    """Share of pictures held out to choose the best checkpoint."""
    profiles: dict[str, Profile] = Field({}, json_schema_extra=LATER)
    """Degradations by name: new ones, or others in place of the built-in half, soft, mjpeg, call
    and clean. `crops_per_image` says how many crops each gets.
    """
    crops_per_pair: int = Field(12, gt=0, json_schema_extra=LATER)
    """Crops from each pair of a blurred and a sharp picture."""
    clip_stride: int = Field(30, gt=0, json_schema_extra=LATER)
    """Of clips, one frame in so many is taken."""
    clip_frames: int = Field(40, gt=0, json_schema_extra=LATER)
    """Most frames from one clip; from longer ones they are taken farther apart."""
    colour: bool = Field(default=False, json_schema_extra=LATER)
    """RGB crops for students that see colour; luma otherwise."""
    temporal: bool = Field(default=False, json_schema_extra=LATER)
    """Also keep the frame before each crop, for losses that compare the two."""

    @model_validator(mode="after")
    def _profiles_are_known(self) -> BankSettings:
        known = self.all_profiles
        for name in self.crops_per_image:
            if name not in known:
                raise ValueError(f"'{name}' is no profile; there are {', '.join(known)}")
        for name in self.profiles:
            if name in (SYNTHETIC, PAIR):
                raise ValueError(f"'{name}' is taken; give the profile another name")
            if name not in self.crops_per_image:
                raise ValueError(f"profile '{name}' gets no crops; name it in crops_per_image")
        return self

    @model_validator(mode="after")
    def _windows_hold_a_crop(self) -> BankSettings:
        for name in self.crops_per_image:
            pan = self.all_profiles[name].pan
            needed_px = self.crop_px + (pan.travel_px if pan else 0)
            if self.window_px < needed_px:
                raise ValueError(
                    f"window_px = {self.window_px} is too small for crops of {self.crop_px} px "
                    f"in '{name}'; at least {needed_px}"
                )
        return self

    @property
    def all_profiles(self) -> Mapping[str, Profile]:
        """The built-in profiles and the recipe's own."""
        return {**TRAINING, **self.profiles}

    @property
    def smallest_px(self) -> int:
        """The least that a picture's shorter side has to have."""
        pans = [self.all_profiles[name].pan for name in self.crops_per_image]
        return self.crop_px + max([MARGIN_PX, *(pan.travel_px for pan in pans if pan)])

    @property
    def crops_of_an_image(self) -> int:
        """Crops per picture over all profiles."""
        return sum(self.crops_per_image.values())

    def decides(self) -> dict[str, Any]:
        """As plain values throughout."""
        profiles = {
            name: profile.model_dump(mode="json") for name, profile in self.profiles.items()
        }
        return super().decides() | ({"profiles": profiles} if profiles else {})
