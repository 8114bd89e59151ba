"""STEP files of boxes, written here after ISO 10303-21 and 10303-42: what `test_abc_chunks.py` reads."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable


def step_box(x: float, y: float, z: float) -> str:
    """A solid box from the origin, in millimetres: a closed shell of six planes, each within four straight edges."""
    lines: list[str] = []

    def add(text: str) -> str:
        lines.append(f"#{len(lines) + 1}={text};")
        return f"#{len(lines)}"

    def numbered(kind: str, values: Iterable[float]) -> str:
        return add(f"{kind}('',({','.join(repr(float(value)) for value in values)}))")

    point, direction = (functools.partial(numbered, kind) for kind in ("CARTESIAN_POINT", "DIRECTION"))

    corners = list(itertools.product((0.0, x), (0.0, y), (0.0, z)))
    places = [point(corner) for corner in corners]
    vertices = [add(f"VERTEX_POINT('',{place})") for place in places]
    edges: dict[tuple[int, int], str] = {}

    def oriented(first: int, second: int) -> str:
        low, high = sorted((first, second))
        if (low, high) not in edges:
            way = [b - a for a, b in zip(corners[low], corners[high], strict=True)]
            length = max(way)
            vector = add(f"VECTOR('',{direction([each / length for each in way])},1.)")
            line = add(f"LINE('',{places[low]},{vector})")
            edges[low, high] = add(f"EDGE_CURVE('',{vertices[low]},{vertices[high]},{line},.T.)")
        return add(f"ORIENTED_EDGE('',*,*,{edges[low, high]},{'.T.' if first < second else '.F.'})")

    faces = []
    # Corners of each side against the clock as seen from outside, and its normal.
    for loop, normal in (
        ((0, 1, 3, 2), (-1, 0, 0)),
        ((4, 6, 7, 5), (1, 0, 0)),
        ((0, 4, 5, 1), (0, -1, 0)),
        ((2, 3, 7, 6), (0, 1, 0)),
        ((0, 2, 6, 4), (0, 0, -1)),
        ((1, 5, 7, 3), (0, 0, 1)),
    ):
        walked = [oriented(a, b) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
        edge_loop = add(f"EDGE_LOOP('',({','.join(walked)}))")
        bound = add(f"FACE_OUTER_BOUND('',{edge_loop},.T.)")
        beside = (0, 1, 0) if normal[0] else (1, 0, 0)
        axes = add(f"AXIS2_PLACEMENT_3D('',{places[loop[0]]},{direction(normal)},{direction(beside)})")
        plane = add(f"PLANE('',{axes})")
        faces.append(add(f"ADVANCED_FACE('',({bound}),{plane},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('box',{shell})")
    origin = add(f"AXIS2_PLACEMENT_3D('',{point((0, 0, 0))},{direction((0, 0, 1))},{direction((1, 0, 0))})")
    unit = add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))")
    angle = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
    solid_angle = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
    near = add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-7),{unit},'distance_accuracy_value','')")
    context = add(
        "(GEOMETRIC_REPRESENTATION_CONTEXT(3)"
        f"GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({near}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({unit},{angle},{solid_angle}))REPRESENTATION_CONTEXT('',''))"
    )
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({origin},{solid}),{context})")
    application = add("APPLICATION_CONTEXT('core data for automotive mechanical design processes')")
    field = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = add(f"PRODUCT('box','box','',({field}))")
    formation = add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    design = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = add(f"PRODUCT_DEFINITION('design','',{formation},{design})")
    about = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    add(f"SHAPE_DEFINITION_REPRESENTATION({about},{shape})")
    head = (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('','',(''),(''),'','','');\n"
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));\nENDSEC;\nDATA;\n"
    )
    return head + "\n".join(lines) + "\nENDSEC;\nEND-ISO-10303-21;\n"
