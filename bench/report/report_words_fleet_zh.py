"""The words of a report on fleets in 简体中文: the keys of the English ones, with the same values to put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FLEET_ZH: Final[Mapping[str, str]] = {
    "fleet": "集群",
    "fleet.note": (
        "一起测量的设备，各与同类（型号、显存、切片相同）设备的中位数相比，不同类从不混合。某设备各系列的时间及其样本的距离"
        "都表明它更慢，才判为异常；或仅在它上面有算例失败，或它远低于其标称值或历史结果。"
    ),
    "fleet.title": "集群报告",
    "fleet.lead": "众多设备并列：哪个慢、慢多少、为什么。",
    "fleet.counts": (
        "{devices} 个设备 · 异常 {sick} 个 · 未判定 {unjudged} 个 · {kinds} 类 · {runs} 次运行 · {rows} 行"
    ),
    "fleet.sick": "异常设备",
    "fleet.sick.none": "没有异常设备。",
    "fleet.sick.more": "另有 {n} 个：全部见 fleet 命令的 JSON 文档。",
    "fleet.unjudged": "未判定",
    "fleet.map": "节点 × 设备",
    "fleet.map.figures": (
        "每行一个节点。数字与颜色为该设备的时间与同类中位设备之比：1.10 表示慢 10 %。"
        "三角为异常设备，虚线框为无法判定的设备。"
    ),
    "fleet.map.cells": (
        "每格一个设备，节点依次排列，每行标有其首个节点。指向一格可见其名称及其时间与同类中位设备之比："
        "1.10 表示慢 10 %。三角为异常设备。"
    ),
    "fleet.map.nodes": (
        "设备太多，无法各占一格：此处节点依次排列，每格 {nodes} 个节点，"
        "颜色为其中各设备时间与同类中位设备之比的中位数。三角表示其中有异常设备。"
    ),
    "fleet.map.alt": (
        "{nodes} 个节点上的 {devices} 个设备，按其时间与同类中位设备之比，从 {low} 到 {high}：异常 {sick} 个，"
        "未判定 {unjudged} 个。"
    ),
    "fleet.map.x": "时间与同类中位设备之比",
    "fleet.is.sick": "异常",
    "fleet.is.unjudged": "未判定",
    "fleet.is.healthy": "正常",
    "fleet.kinds": "类别",
    "fleet.spread": "同类设备的分布",
    "fleet.spread.note": (
        "时间与中位设备之比：先是每个设备的全部系列，再是每个算子与精度中某个设备最突出的算例。数字为最快、中位与最慢。"
        "若设备的全部样本都慢到虚线处或更慢，即判为异常；三角或橙色条在其右侧。超出坐标轴者置于边缘。"
    ),
    "fleet.spread.all": "设备的全部系列",
    "fleet.spread.alt": "{sku}：{n} 个设备的时间与其中位设备之比的分布。{items}",
    "fleet.spread.item": "{name}：从 {low} 到 {high}，中位数 {middle}，中间一半 {q1} 至 {q3}，自 {bound} 起判为异常。",
    "fleet.devices": "所有设备",
    "fleet.rule.failed": "仅在此设备上失败",
    "fleet.rule.device": "各系列整体偏慢",
    "fleet.rule.series": "某一系列偏慢",
    "fleet.rule.history": "慢于历史结果",
    "fleet.rule.rating": "远低于标称",
    "col.kind": "类别",
    "col.devices": "设备数",
    "col.sick": "异常",
    "col.series": "系列数",
    "col.spread": "离散度（稳健 σ）",
    "col.fastest": "最快",
    "col.quartile.1": "四分之一",
    "col.quartile.3": "四分之三",
    "col.slowest": "最慢",
    "col.which": "最快者 … 最慢者",
    "col.relative": "时间与同类之比",
    "col.z": "稳健 z",
    "col.distance": "距离（对数）",
    "col.of_rated": "占标称",
    "col.rule": "触犯的规则",
}
