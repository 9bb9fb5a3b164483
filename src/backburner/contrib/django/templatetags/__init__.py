"""Template tags: `{% load backburner %}`."""
