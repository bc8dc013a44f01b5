"""The `[bank]` table of a recipe: how pictures become crops."""

from __future__ import annotations

from pydantic import Field

from vcsharp_training.strict import Strict


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

    @property
    def crops_of_an_image(self) -> int:
        """Crops per picture over all profiles."""
        return sum(self.crops_per_image.values())
