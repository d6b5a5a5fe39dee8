"""The galleries that the second image tower learns from: packages of free pictures.

All are in the distribution's free part. Packages that an image set of the benchmark was made from
stand here only where its images are known by their hashes.
"""

from training.tiny_pictures import Gallery
from training.tiny_sources import CLIP_ART, STAMPS, debian

PHOTOGRAPHS = (
    Gallery(debian("gnome-backgrounds", "CC-BY-SA 3.0, CC-BY 2.0"), side=1400, views=120),
    Gallery(debian("mate-backgrounds", "GPL-2+, CC-BY-SA 4.0"), side=1400, views=120),
    Gallery(debian("plasma-workspace-wallpapers", "GPL-2+"), side=1400, views=80),
    Gallery(debian("ukui-wallpapers", "CC-BY-SA 3.0"), side=1400, views=120),
    Gallery(debian("lomiri-wallpapers-16.04", "CC-BY(-SA) 3.0/4.0"), side=1400, views=120),
    Gallery(debian("lomiri-wallpapers-20.04", "CC-BY(-SA) 3.0/4.0"), side=1400, views=120),
    Gallery(debian("desktop-base", "GPL-2+, CC-BY-SA 3.0"), side=800, views=20),
    Gallery(debian("gimp-help-en", "GFDL-1.2+"), side=640, views=10),
    Gallery(debian("palapeli-data", "GPL-2+, GFDL-1.2+, CC0"), side=1000, views=60),
    Gallery(debian("tuxpaint-data", "GPL-2+, public domain"), side=640, views=20),
    Gallery(debian("kalzium-data", "GPL-2+, GFDL-1.2"), side=640, views=20),
    Gallery(debian("kanagram", "GPL-2+"), side=640, views=10),
    Gallery(debian("khangman", "GPL-2+"), side=640, views=10),
    Gallery(debian("marble-data", "LGPL-2.1+, CC0, CC-BY 3.0"), side=1400, views=30),
    Gallery(debian("kstars-data", "GPL-2+"), side=500, views=8),
    Gallery(debian("stellarium-data", "GPL-2+"), most=300, side=1400, views=10),
    Gallery(STAMPS, side=500, views=30),
)
TEXTURES = (
    Gallery(debian("openarena-081-textures", "GPL-2+"), most=1500, side=512, views=12),
    Gallery(debian("nexuiz-textures", "GPL-2"), most=1500, side=512, views=10),
    Gallery(debian("ufoai-textures", "GPL-2+, CC-BY(-SA) 3.0"), most=1200, side=512, views=10),
    Gallery(debian("flightgear-data-base", "GPL-2+"), most=1500, side=512, views=10),
    Gallery(debian("colobot-common-textures", "GPL-3+"), side=512, views=20),
    Gallery(debian("propaganda-debian", "GPL-2+"), side=512, views=20),
    Gallery(debian("krita-data", "GPL-2+, LGPL-2+"), side=512, views=10),
    Gallery(debian("trackballs-data", "GPL-2+"), side=512, views=20),
    Gallery(debian("minetest-data", "CC-BY-SA 3.0"), views=3),
)
PAINTINGS = (
    Gallery(debian("wesnoth-1.16-data", "GPL-2+, CC-BY-SA 4.0"), most=2000, side=500, views=4),
    Gallery(debian("boswars-data", "GPL-2+"), most=500, side=640, views=6),
    Gallery(debian("endless-sky-data", "CC-BY(-SA), GPL-3+, public domain"), side=640, views=6),
    Gallery(debian("lincity-ng-data", "GPL-2+"), most=600, side=500, views=6),
    Gallery(debian("fillets-ng-data", "GPL-2+"), most=800, side=640, views=6),
    Gallery(debian("freeciv-data", "GPL-2+"), most=400, side=640, views=4),
    Gallery(debian("planetblupi-common", "GPL-3+"), side=1000, views=10),
    Gallery(debian("pysiogame", "GPL-3+, CC-BY 3.0"), most=800, views=4),
    Gallery(debian("tuxtype-data", "GPL-2+"), most=300, views=4),
    Gallery(debian("pingus-data", "GPL-2+"), most=500, views=4),
    Gallery(debian("sweethome3d-furniture", "CC-BY 3.0, CC0"), most=1500, views=8),
)
ICONS = (
    Gallery(debian("oxygen-icon-theme", "LGPL-3+"), most=1500, side=256, views=5),
    Gallery(debian("faenza-icon-theme", "GPL-3+"), most=800, side=256, views=3),
    Gallery(debian("mate-icon-theme", "LGPL-3+ or CC-BY-SA"), most=600, side=256, views=3),
    Gallery(debian("gnome-icon-theme", "GPL-2+, GPL-3+"), most=600, side=256, views=4),
    Gallery(debian("moka-icon-theme", "CC-BY-SA 4.0, GPL-3+"), most=700, side=256, views=2),
    Gallery(CLIP_ART, most=6000, side=320, views=5),
)
GALLERIES = (PHOTOGRAPHS, TEXTURES, PAINTINGS, ICONS)
